"""The sizes of the base model that an adapter must fit."""

import json
from dataclasses import dataclass
from typing import Any, Final, cast

from proto.errors import BaseModelCorrupt

PROJECTIONS: Final = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)


@dataclass(frozen=True)
class BaseShape:
    """What config.json says of a Llama."""

    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    context: int

    @classmethod
    def parse(cls, config: bytes) -> "BaseShape":
        """Read config.json. Raises BaseModelCorrupt."""
        try:
            fields = cast("dict[str, Any]", json.loads(config))
            hidden, heads = int(fields["hidden_size"]), int(fields["num_attention_heads"])
            return cls(
                layers=int(fields["num_hidden_layers"]),
                hidden=hidden,
                inner=int(fields["intermediate_size"]),
                heads=heads,
                kv_heads=int(fields.get("num_key_value_heads") or heads),
                head_dim=int(fields.get("head_dim") or hidden // heads),
                context=int(fields["max_position_embeddings"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError) as error:
            raise BaseModelCorrupt("config.json") from error

    def projection(self, name: str) -> tuple[int, int] | None:
        """(out, in) of a projection, or None where there is no such one."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "self_attn.q_proj": (q, self.hidden),
            "self_attn.k_proj": (kv, self.hidden),
            "self_attn.v_proj": (kv, self.hidden),
            "self_attn.o_proj": (self.hidden, q),
            "mlp.gate_proj": (self.inner, self.hidden),
            "mlp.up_proj": (self.inner, self.hidden),
            "mlp.down_proj": (self.hidden, self.inner),
        }.get(name)
