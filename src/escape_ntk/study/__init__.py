"""From points to verdicts: runs of an experiment, claims on their records, hypotheses."""
