"""The forecasting and territory engine. Importing it imports nothing heavy."""
