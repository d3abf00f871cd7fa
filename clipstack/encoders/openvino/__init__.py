"""CLIP in OpenVINO on x86 CPUs: export, encoder, tokenizer and int8."""
