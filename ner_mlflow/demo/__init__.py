"""The showcase: pages that show what the tracking store holds, and let people try a model."""
