"""Reports: what was spent, by whom, against the period before."""
