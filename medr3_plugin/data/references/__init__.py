"""Reference construction: from questions to verified reasoning with its knowledge graph.

The paper's pipeline against any OpenAI-compatible endpoint (`pipeline`), or without a language model from
vocabularies and gold documents (`offline`).
"""
