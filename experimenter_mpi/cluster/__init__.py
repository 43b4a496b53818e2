"""What launched this process, and job scripts for what will.

Names are looked up on first use (PEP 562): asking who launched a rank must not load
what writes job scripts.
"""
