"""From forecasts to money: signals, fills, costs, and statistics that know how often luck had a chance."""
