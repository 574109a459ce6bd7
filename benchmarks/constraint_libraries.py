"""Two libraries for constrained decoding behind the same four calls: schema, regex, choice, the masks of a batch."""

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
import xgrammar
from constraint_schemas import Fresh, Matcher, Refused
from llguidance import LLExecutor, LLMatcher
from llguidance.hf import from_tokenizer
from llguidance.numpy import fill_next_token_bitmask, fill_next_token_bitmask_par
from transformers import PreTrainedTokenizerFast


class Llguidance:
    """What compiles gives a function that makes a matcher for a new row."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, vocabulary: int, **options: Any) -> None:
        self._tokenizer = from_tokenizer(tokenizer, n_vocab=vocabulary)
        self._options = options or {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        self._executor = LLExecutor(os.cpu_count())

    def schema(self, schema: dict[str, Any]) -> Fresh:
        return self._compile(LLMatcher.grammar_from_json_schema(schema, overrides=self._options))

    def regex(self, pattern: str) -> Fresh:
        return self._compile(LLMatcher.grammar_from_regex(pattern))

    def choice(self, options: Sequence[str]) -> Fresh:
        # One terminal: as alternatives of the rule, the first mask of 1,000 options takes 9 ms instead of 0.2.
        return self._compile(LLMatcher.grammar_from_lark("start: X\nX: " + " | ".join(map(json.dumps, options))))

    def fill_all(self, matchers: Sequence[Matcher], masks: torch.Tensor) -> None:
        rows = [(matcher.inner, row) for row, matcher in enumerate(matchers)]
        fill_next_token_bitmask_par(self._executor, rows, masks.numpy())

    def _compile(self, grammar: str) -> Fresh:
        first = LLMatcher(self._tokenizer, grammar, log_level=0)
        if first.is_error() or first.get_grammar_warnings():
            raise Refused(first.get_error() or "; ".join(map(str, first.get_grammar_warnings())))

        def fresh() -> Matcher:
            inner = first.deep_copy()  # 1 µs; a new LLMatcher takes about as long as compiling
            fill = lambda masks, row: fill_next_token_bitmask(inner, masks.numpy(), row)  # noqa: E731
            return Matcher(inner=inner, fill=fill, accept=inner.consume_token)

        return fresh


class Xgrammar:
    """The same for xgrammar, without its cache of compiled grammars."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, vocabulary: int, **options: Any) -> None:
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocabulary)
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=os.cpu_count() or 1, cache_enabled=False)
        self._options = {"any_whitespace": False, "separators": (", ", ": "), "strict_mode": False, **options}
        self._batch = xgrammar.BatchGrammarMatcher(os.cpu_count() or 1)

    def schema(self, schema: dict[str, Any]) -> Fresh:
        return self._compile(self._compiler.compile_json_schema, schema, **self._options)

    def regex(self, pattern: str) -> Fresh:
        return self._compile(self._compiler.compile_regex, pattern)

    def choice(self, options: Sequence[str]) -> Fresh:
        return self._compile(self._compiler.compile_grammar, "root ::= " + " | ".join(map(json.dumps, options)))

    def fill_all(self, matchers: Sequence[Matcher], masks: torch.Tensor) -> None:
        self._batch.batch_fill_next_token_bitmask([matcher.inner for matcher in matchers], masks)

    def _compile(self, compiled: Callable[..., Any], *source: Any, **options: Any) -> Fresh:
        try:
            grammar = compiled(*source, **options)
        except (RuntimeError, ValueError) as error:  # what xgrammar raises derives from RuntimeError
            raise Refused(str(error)) from error

        def fresh() -> Matcher:
            inner = xgrammar.GrammarMatcher(grammar)
            return Matcher(inner=inner, fill=inner.fill_next_token_bitmask, accept=inner.accept_token)

        return fresh


LIBRARIES = {"llguidance": Llguidance, "xgrammar": Xgrammar}
