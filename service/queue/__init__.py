"""The job queue as a producer sees it: arq's format, written by one script, and a bell for its idle workers.

This module and ``workers`` are all that know of arq.
"""

from service.queue.job_queue import BELL, QUEUE, JobQueue

__all__ = ["BELL", "QUEUE", "JobQueue"]
