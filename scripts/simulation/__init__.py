"""How far one rank 0 carries: costs, simulated runs, real ones to check them."""
