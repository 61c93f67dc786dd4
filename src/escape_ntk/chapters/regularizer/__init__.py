"""The regulariser: four penalties, and what each one does."""
