"""What is the answer and what is reasoning, in every form of marking it; and texts about the marks."""

from __future__ import annotations

import time

import pytest

from services.signals.answer_text import spoken_answer
from services.signals.refusal import Refusal
from tests.support.said import said

ANSWER = "Mix two cups of flour with one egg."
THOUGHT = "I'm sorry, but I can't help with that. Wait, it is only dough, so I answer."

MARKED = {
    "think": f"<think>{THOUGHT}</think>{ANSWER}",
    "opening swallowed": f"{THOUGHT}\n</think>\n\n{ANSWER}",
    "opening swallowed, one line": f"{THOUGHT}</think> {ANSWER}",
    "upper case": f"<THINK>\n{THOUGHT}\n</THINK>\n{ANSWER}",
    "attributes": f'<thinking budget="9" kind="x">{THOUGHT}</thinking>\n{ANSWER}',
    "space in tags": f"  \n< think >{THOUGHT}</ think >\n\n{ANSWER}",
    "reasoning": f"<reasoning>{THOUGHT}</reasoning>{ANSWER}",
    "reflection": f"<reflection>{THOUGHT}</reflection>{ANSWER}",
    "scratchpad": f"<scratchpad>{THOUGHT}</scratchpad>\n{ANSWER}",
    "thoughts": f"<Thoughts>{THOUGHT}</Thoughts>\n\n{ANSWER}",
    "inner monologue": f"<inner_monologue>{THOUGHT}</inner_monologue>{ANSWER}",
    "two blocks": f"<think>{THOUGHT}</think>\nHm.\n<think>{THOUGHT}</think>\n{ANSWER}",
    "two kinds, wrapped answer": f"<thinking>{THOUGHT}</thinking><reflection>{THOUGHT}</reflection><output>{ANSWER}",
    "empty block": f"<think>\n\n</think>\n\n{ANSWER}",
    "Mistral": f"[THINK]{THOUGHT}[/THINK]{ANSWER}",
    "Mistral, opening swallowed": f"{THOUGHT}[/THINK]{ANSWER}",
    "Kimi": f"\u25c1think\u25b7{THOUGHT}\u25c1/think\u25b7{ANSWER}",
    "Kimi, bars": f"|startthink|{THOUGHT}|endthink|{ANSWER}",
    "Harmony": f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
    "Harmony, constrained": f"<|start|>assistant<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant"
    f"<|channel|>final <|constrain|>json<|message|>{ANSWER}",
    "Harmony, final alone": f"<|channel|>final<|message|>{ANSWER}",
    "Harmony without its tokens": f"analysisWe need to see. {THOUGHT}assistantfinal{ANSWER}",
    "Gemma": f"<|channel>thought\n{THOUGHT}<channel|>{ANSWER}",
    "Cohere": f"<|START_THINKING|>{THOUGHT}<|END_THINKING|><|START_RESPONSE|>{ANSWER}",
    "Seed": f"<seed:think>{THOUGHT}<seed:cot_budget_reflect>9</seed:cot_budget_reflect></seed:think>{ANSWER}",
    "MiniMax": f"<mm:think>{THOUGHT}</mm:think>{ANSWER}",
    "begin of thought": f"<|begin_of_thought|>{THOUGHT}<|end_of_thought|>\n<|begin_of_solution|>{ANSWER}",
    "slashed token": f"<|think|>{THOUGHT}<|/think|>{ANSWER}",
    "Llama headers": f"<|start_header_id|>reasoning<|end_header_id|>\n{THOUGHT}<|eot_id|>"
    f"<|start_header_id|>assistant<|end_header_id|>\n\n{ANSWER}",
    "Granite": f"Here is my thought process:\n{THOUGHT}\n\nHere is my response:\n{ANSWER}",
    "Granite 3.3": f"<think>{THOUGHT}</think><response>{ANSWER}",
    "Apriel": f"Here are my reasoning steps:\n{THOUGHT}\n[BEGIN FINAL RESPONSE]\n{ANSWER}",
    "fenced": f"```thinking\n{THOUGHT}\n```\n{ANSWER}",
    "fenced with colons": f":::thinking\n{THOUGHT}\n:::\n{ANSWER}",
    "headed in bold": f"**Thinking:**\n{THOUGHT}\n\n**Answer:**\n{ANSWER}",
    "headed": f"## Reasoning\n{THOUGHT}\n\n## Final Answer\n{ANSWER}",
    "thought and final answer": f"Thought: {THOUGHT}\nFinal Answer: {ANSWER}",
    "Ollama": f"Thinking...\n{THOUGHT}\n...done thinking.\n\n{ANSWER}",
    "details": f'<details type="reasoning" done="true">\n<summary>Thought for 5 seconds</summary>\n> {THOUGHT}\n'
    f"</details>\n{ANSWER}",
    "quotation": f"*Thinking...*\n\n> {THOUGHT}\n> So be it.\n\n{ANSWER}",
    "template's token first": f"<|im_start|>assistant\n<think>{THOUGHT}</think>{ANSWER}",
    "invisible characters first": f"\ufeff\u200b<think>{THOUGHT}</think>{ANSWER}",
    "the mark as a topic of the reasoning": f"<think>They ask about `</think>`. {THOUGHT}</think>{ANSWER}",
    "code that never ends in the reasoning": f"{THOUGHT}\n```python\nx = 1\n</think>\n{ANSWER}",
    "preamble": f"Let me think.\n<think>{THOUGHT}</think>\n{ANSWER}",
    "not closed, but the answer opens": f"<think>{THOUGHT}\n<answer>{ANSWER}",
    "lower case on one line": f"<think>okay, so they ask </think> {ANSWER}",
    "Chinese": f"\u597d\u7684\uff0c\u7528\u6237\u60f3\u77e5\u9053\u3002</think>{ANSWER}",
}
CUT = (
    "<think>I cannot help with this",
    "<think>I cannot help with this request, so I must say so</think>",
    "<think>a</think>\n\n  ",
    "I must not.\n</think>",
    "[THINK]I cannot",
    "<|channel|>analysis<|message|>We cannot",
    "analysisWe need to refuse",
    "\u25c1think\u25b7I cannot",
    "<|START_THINKING|>I cannot",
    "<THINKING>I cannot",
    "<think>a</think><think>I cannot",
    "<think>a</think><think>b</think>",
    "```thinking\nI cannot",
    "<seed:think>I cannot",
    "Here is my thought process:\nI cannot",
    "<think>a</think>\n<|im_end|>",
    "<think>a</think><answer></answer>",
    "<|channel>thought\nI cannot",
    "<reasoning>I cannot",
    "<scratchpad>a</scratchpad>",
    "<think>They ask about `</think>` and I cannot",
    "<think\n>I cannot",
)
ABOUT = (
    "Close it with `</think>`.",
    "The </think> tag closes the block.",
    "DeepSeek puts its reasoning between <think> and </think>; strip it with a regex.",
    'Use re.sub(r"<think>.*?</think>", "", text, flags=re.DOTALL).',
    "```python\ntext = text.split('</think>')[-1]\n```\nThat is all.",
    "Here is a template:\n\n```\n<think>\n...\n</think>\nanswer\n```\n\nReplace the dots.",
    "`<think>` is the opening tag and `</think>` the closing one.",
    "The model ends its reasoning with </think> and then writes the answer.",
    "R1 writes <think>reasoning</think> before its answer.",
    "- <think>: opens\n- </think>: closes\nThat is it.",
    "<think> tags mark reasoning; </think> tags close it.",
    "The closing mark is </think>.",
    'You should strip everything up to "</think>" and keep the rest.',
    "Harmony uses `<|channel|>analysis<|message|>` and `<|channel|>final<|message|>`.",
    "The token [THINK] is used by Mistral and [/THINK] ends it.",
    "Das Tag </think> beendet den Block. Danach kommt die Antwort.",
    "\u4f7f\u7528</think>\u6807\u7b7e\u7ed3\u675f\u63a8\u7406\u3002",
    "const x: Array<Thought> = [];",
    "Reasoning: the price fell.\nSo buy.",
    "Thinking about it, yes.",
    "In XML you would write:\n\n    <think>\n    ...\n    </think>\n\nand parse it.",
    "You will see the token </think>\nin the raw output.",
    "[Thinking] what a day, he said.",
    "The tag for reasoning is:\n<think>",
    "<analysis>Sales rose by 4%.</analysis>",
    "\u201c</think>\u201d marks the end.",
    "In JSX: `<Reasoning>` wraps the steps and `</Reasoning>` ends them.",
    "",
)


@pytest.mark.parametrize("text", MARKED.values(), ids=MARKED.keys())
def test_the_answer_is_what_follows_the_reasoning(text: str) -> None:
    assert spoken_answer(text) == ANSWER
    assert Refusal().measure(said(text)).value is False
    refusing = text.replace(ANSWER, "I'm sorry, but I can't help with that.")
    assert Refusal().measure(said(refusing)).value is True


@pytest.mark.parametrize("text", CUT)
def test_reasoning_alone_is_no_answer(text: str) -> None:
    assert spoken_answer(text) is None
    measured = Refusal().measure(said(text, finish_reason="length"))
    assert (measured.value, measured.reason) == (None, "no_response")


@pytest.mark.parametrize("text", ABOUT)
def test_a_text_about_the_marks_keeps_every_word(text: str) -> None:
    assert spoken_answer(text) == text


def test_an_answer_about_the_marks_after_reasoning_keeps_every_word() -> None:
    for text in filter(None, ABOUT):
        spoken = spoken_answer(f"<think>{THOUGHT}</think>\n{text}")
        assert spoken is not None
        assert spoken.strip() == text.strip()


def test_text_before_a_block_that_says_more_than_a_preamble_is_part_of_the_answer() -> None:
    long = "The mower needs air, fuel and a spark; check them in this order, and begin with the plug. " * 4
    assert spoken_answer(f"{long}\n<reflection>{THOUGHT}</reflection>") == f"{long}\n"
    assert spoken_answer(f"{long}\n<think>{THOUGHT}") == f"{long}\n"
    both = spoken_answer(f"{long}<think>{THOUGHT}</think>\n{ANSWER}")
    assert both == long + ANSWER


def test_an_exchange_keeps_its_whole_text_for_leaks_and_masks() -> None:
    text = said(f"<think>{THOUGHT}</think>{ANSWER}")
    assert (text.response, text.spoken) == (f"<think>{THOUGHT}</think>{ANSWER}", ANSWER)


@pytest.mark.parametrize(
    "piece",
    [
        "</think>",
        "<think",
        "`</think>`",
        "<think>a</think>",
        "[/THINK] ",
        "```\n</think>\n",
        "> a\n",
        "<|",
        "< / ",
        " ",
    ],
)
@pytest.mark.parametrize("before", ["", "<think>", "**Thinking:**\n", "```thinking\n", "*Thinking...*\n\n"])
def test_no_text_takes_more_than_its_length(before: str, piece: str) -> None:
    def spent(size: int) -> float:
        text = before + piece * (size // len(piece))
        begin = time.thread_time()
        spoken_answer(text)
        return time.thread_time() - begin

    small = max(min(spent(32 * 1024) for _ in range(2)), 0.01)
    assert min(spent(256 * 1024) for _ in range(2)) <= 8 * 2 * small
