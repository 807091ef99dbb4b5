"""The stored trials in the forms of other programs: MLflow, TensorBoard, Parquet; one output, one module."""
