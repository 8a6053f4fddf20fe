"""Files in which others recorded the past of a source, read into captures for `ratchet import`.

``past.py`` says what a file gives and finds out its format; each format has a module. All of a file
that concerns more than one capture is judged here, before anything is written; what is wrong with
single rows is left to the checks.
"""
