"""Membership inference: can an attacker tell that an image was trained on?"""
