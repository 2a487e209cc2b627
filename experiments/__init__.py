"""Studies on top of the engine: recovery, calibration, backtests. The engine never imports them."""
