export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

export const median = (values) => quantile(values, 0.5);

/**
 * Standard error of the median, as a part of it, from the distance between the quartiles: a round that something
 * disturbed does not count for more than any other.
 */
export function uncertainty(values) {
  if (values.length < 3) return Number.POSITIVE_INFINITY;
  const quartiles = quantile(values, 0.75) - quantile(values, 0.25);
  // For a normal distribution: 1.349 standard deviations from quartile to quartile; 1.2533 errors of the mean.
  return ((1.2533 / 1.349) * quartiles) / Math.sqrt(values.length) / median(values);
}
