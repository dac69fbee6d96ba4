/** The version of what the columns of `open_state` mean. A change of the kernels' rules for open buckets that old rows do not follow moves it on. */
export const STATE_VERSION = 1;
