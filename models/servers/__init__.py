"""Models behind servers that speak OpenAI's protocol, such as vLLM's or llama.cpp's.

The protocol is that of https://platform.openai.com/docs/api-reference/chat and `/completions`.
"""
