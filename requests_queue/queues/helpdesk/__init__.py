"""Helpdesk cases: questions and problems that one partner brings to another."""
