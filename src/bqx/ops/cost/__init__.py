"""What running bqx costs a month: prices with dates, quantities from measured costs, ranges, budgets, bills."""
