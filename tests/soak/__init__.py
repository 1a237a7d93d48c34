"""Faults put into real runs: `make soak`, and a short form of it among the other tests.

Runs are killed, their files cannot be written, two of them work on one lake, inputs are malformed and
models hostile. Whatever happens, nothing is lost, nothing is repeated, and a run that goes on ends
with the tables of one that nothing happened to.
"""
