/**
 * A sequence number (RFC 9293 §3.4): 32 bits, compared modulo 2^32.
 *
 * The class is never instantiated: a Seq *is* its number, carried in the pointer of an unmanaged reference, so a
 * field of this type is four bytes and every operator folds to one or two instructions, while `a < b` on plain
 * integers next to it no longer compiles by accident.
 */
@unmanaged
@final
export class Seq {
  @inline static of(n: u32): Seq {
    return changetype<Seq>(n);
  }

  @inline get u32(): u32 {
    return changetype<u32>(this);
  }

  /** The octet n places later. */
  @inline plus(n: u32): Seq {
    return changetype<Seq>(changetype<u32>(this) + n);
  }

  @inline minus(n: u32): Seq {
    return changetype<Seq>(changetype<u32>(this) - n);
  }

  /** Octets from `from` up to this one, 0 to 2^32 - 1. */
  @inline since(from: Seq): u32 {
    return changetype<u32>(this) - changetype<u32>(from);
  }

  // The difference is taken in 32 bits and only its sign is read: in any wider signed type half of all pairs compare
  // the wrong way round. It is taken from the larger side, so that two numbers 2^31 apart, which have no order, are
  // neither less nor greater (RFC 7323 §5.2: s < t when 0 < t - s < 2^31).
  @operator("<")
  @inline
  lt(other: Seq): bool {
    return i32(changetype<u32>(other) - changetype<u32>(this)) > 0;
  }

  @operator("<=")
  @inline
  le(other: Seq): bool {
    return i32(changetype<u32>(other) - changetype<u32>(this)) >= 0;
  }

  @operator(">")
  @inline
  gt(other: Seq): bool {
    return i32(changetype<u32>(this) - changetype<u32>(other)) > 0;
  }

  @operator(">=")
  @inline
  ge(other: Seq): bool {
    return i32(changetype<u32>(this) - changetype<u32>(other)) >= 0;
  }

  @operator("==")
  @inline
  eq(other: Seq): bool {
    return changetype<u32>(this) == changetype<u32>(other);
  }

  @operator("!=")
  @inline
  ne(other: Seq): bool {
    return changetype<u32>(this) != changetype<u32>(other);
  }
}
