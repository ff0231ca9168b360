/**
 * Chat templates by name, for model files that come without one. Each writes the turns as its family was trained on them.
 * None shows tools or calls: those are written into the messages as text.
 */
export const templates: ReadonlyMap<string, string> = new Map([
  [
    'chatml',
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
  ],
  [
    'llama-2',
    "{% for m in messages %}{% if m.role == 'assistant' %}{{ ' ' + m.content + ' ' + eos_token }}{% else %}" +
      "{% if m.role == 'user' %}{{ bos_token + '[INST] ' }}" +
      "{% if loop.index0 == 1 and messages[0].role == 'system' %}{{ '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' }}{% endif %}" +
      "{{ m.content + ' [/INST]' }}{% elif not loop.first %}{{ raise_exception('a system message goes first') }}{% endif %}{% endif %}{% endfor %}",
  ],
  [
    'llama-3',
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}" +
      "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
  ],
  [
    'mistral',
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}" +
      "{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}",
  ],
  [
    'gemma',
    "{{ bos_token }}{% for m in messages if m.role != 'system' %}" +
      "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content | trim + '<end_of_turn>\n' }}" +
      "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
  ],
  [
    'phi-3',
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
  ],
  [
    'zephyr',
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
  ],
  [
    'vicuna',
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ 'USER: ' + m.content + ' ' }}" +
      "{% elif m.role == 'assistant' %}{{ 'ASSISTANT: ' + m.content + eos_token }}{% else %}{{ m.content + '\n\n' }}{% endif %}" +
      "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
  ],
  [
    'alpaca',
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '### Instruction:\n' + m.content + '\n\n' }}" +
      "{% elif m.role == 'assistant' %}{{ '### Response:\n' + m.content + eos_token + '\n\n' }}{% else %}{{ m.content + '\n\n' }}{% endif %}" +
      "{% endfor %}{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}",
  ],
])
