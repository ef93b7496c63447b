"""Statistics of records: summaries, tests, intervals; what tables and figures print."""
