"""How far one coordinator scales: costs, simulated runs, real ones to check them."""
