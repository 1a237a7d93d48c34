"""Faults put into real runs: `make soak`, and a short form of it among the other tests.

Runs are killed, their files cannot be written, and two of them work on one lake. Whatever happens,
nothing is lost and nothing is repeated: a run that goes on ends with the tables of an undisturbed
one.
"""
