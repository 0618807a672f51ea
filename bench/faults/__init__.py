"""`make faults`: damage done to a running collector, and what its books say afterwards."""
