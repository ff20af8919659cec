// The least a program between two TUN devices can do: what is read from either is written to the other, packet by packet.
//   forward DEVICE DEVICE plain|offload
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/** Packets of one device before it is the other's turn. */
#define BATCH 64

/** The largest packet and the header before it. */
static char packet[65536 + 16];

static int attach(const char *name, int offload) {
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (offload) request.ifr_flags |= IFF_VNET_HDR;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, offload ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0) < 0) {
        perror(name);
        return -1;
    }
    return fd;
}

int main(int count, char **words) {
    struct pollfd ends[2];
    int offload;
    if (count != 4) return 2;
    offload = strcmp(words[3], "offload") == 0;
    for (int i = 0; i < 2; i++) {
        ends[i] = (struct pollfd){attach(words[1 + i], offload), POLLIN, 0};
        if (ends[i].fd < 0) return 1;
    }
    printf("ready\n");
    fflush(stdout);
    while (poll(ends, 2, -1) > 0)
        for (int i = 0; i < 2; i++) {
            if (ends[i].revents & ~POLLIN) return 0;
            for (int n = 0; n < BATCH; n++) {
                ssize_t length = read(ends[i].fd, packet, sizeof packet);
                if (length <= 0) break;
                // A device that takes no more drops, as networks do.
                if (write(ends[1 - i].fd, packet, length) < 0 && errno == EBADFD) return 0;
            }
        }
    return 0;
}
