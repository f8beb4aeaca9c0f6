"""Where live bars come from: a replay, a file that grows, a broker's stream."""
