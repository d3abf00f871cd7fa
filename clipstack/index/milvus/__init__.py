"""The index on a Milvus server. The only folder that imports pymilvus and grpc."""
