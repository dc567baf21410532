"""Planners: how a layer is divided over tiles and time, chosen by a cost model."""
