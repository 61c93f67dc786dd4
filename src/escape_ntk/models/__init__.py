"""What is trained: inputs and targets, the network, its Taylor terms in pairs, any module."""
