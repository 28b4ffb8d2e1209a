# SPDX-License-Identifier: GPL-2.0
"""Plays packetdrill scripts against a socket of this machine."""
