"""How the perceptron is fitted: network, loop, feed, optimizer, checkpoints."""
