"""AWS IoT Core itself: asks for endpoints, registers devices and factory CAs. Needs the extra `aws` (boto3)."""
