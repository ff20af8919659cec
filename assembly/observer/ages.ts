import { Conversation, Direction, HOLDING } from "./conversation.ts";

// Two lists by age, each doubly linked so that anyone can leave it at once: all conversations, the one not heard of for
// longest first, to make room for another; and the directions that hold text, the longest-standing hole first.

let oldest: usize = 0;
let newest: usize = 0;
let oldestHole: usize = 0;
let newestHole: usize = 0;

/** The conversation not heard of for longest, or 0. */
export function oldestConversation(): usize {
  return oldest;
}

export function enterConversations(conversation: Conversation): void {
  conversation.older = u32(newest);
  conversation.newer = 0;
  if (newest) Conversation.at(newest).newer = u32(conversation.address);
  else oldest = conversation.address;
  newest = conversation.address;
}

export function leaveConversations(conversation: Conversation): void {
  const older = usize(conversation.older);
  const newer = usize(conversation.newer);
  if (older) Conversation.at(older).newer = u32(newer);
  else oldest = newer;
  if (newer) Conversation.at(newer).older = u32(older);
  else newest = older;
}

/** The direction that has waited longest for a hole to be filled, or 0. */
export function oldestHolder(): usize {
  return oldestHole;
}

export function enterHolders(direction: Direction): void {
  if (direction.has(HOLDING)) return;
  direction.flags |= HOLDING;
  direction.older = u32(newestHole);
  direction.newer = 0;
  if (newestHole) Direction.at(newestHole).newer = u32(direction.address);
  else oldestHole = direction.address;
  newestHole = direction.address;
}

export function leaveHolders(direction: Direction): void {
  if (!direction.has(HOLDING)) return;
  direction.flags &= ~HOLDING;
  const older = usize(direction.older);
  const newer = usize(direction.newer);
  if (older) Direction.at(older).newer = u32(newer);
  else oldestHole = newer;
  if (newer) Direction.at(newer).older = u32(older);
  else newestHole = older;
}
