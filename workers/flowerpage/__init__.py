"""Flower as ops see it: how it is set, and the page of launches inside it."""
