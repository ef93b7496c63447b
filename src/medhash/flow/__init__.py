"""Steps, receipts and the plan: what is made from what, and what has to run again."""
