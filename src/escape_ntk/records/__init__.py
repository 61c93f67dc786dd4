"""Records of runs: one verified database an experiment, and where each number comes from."""
