"""The account behind the stand-in's endpoints: things, jobs, streams, shadows, fleet index, package catalog.

Its control plane speaks AWS IoT's REST API as botocore's own service model has it (model.py, plane.py, listener.py); devices reach it by
the reserved topics (topics.py). One subject a file; each declares its operations in a table. Needs the extra `aws`.
"""
