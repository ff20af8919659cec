// How a datagram stands in staging, both ways: its particulars, then its octets.

export const UDP_LOCAL = 0;
export const UDP_REMOTE = 16;
export const UDP_LENGTH = 32;
export const UDP_PORT = 36;
export const UDP_FAMILY = 38;
export const UDP_PAYLOAD = 40;
