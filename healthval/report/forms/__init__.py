"""Other forms of a report: committee summary, site report, comparison, exported figures and tables."""
