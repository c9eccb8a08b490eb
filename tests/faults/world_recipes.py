"""The recipes and tasks of `worlds`, tiny."""

BERT = (
    "store: store\nmodel: {name: bert, layers: 1, hidden: 16, heads: 2, max_positions: 128}\n"
    "objective: {name: mlm}\ntrain: {steps: 6, batch_size: 8, sequence_length: 32, lr: 1e-3, warmup: 2}\n"
    "evaluate: {every: 2, batches: 2}\nsave: {every: 2, keep_last: 2}\nseed: 7\nout: run\n"
)
TOKENIZE = (
    "source: {files: text/*.txt, document_boundary: line}\ntokenizer: {vocab_size: 300}\n"
    "heldout: 0.1\nworkers: 1\nout: store\n"
)
TASK = "name: classification\ninputs: [sentence]\nlabels: [silent, bell]\nmetrics: [accuracy]\n"
UPDATES = "batch_size: 8, sequence_length: 32, lr: 3e-3"
TUNE = (
    f"task: bell.yaml\ndata: data\ninit_from: model\ntrain: {{steps: 6, {UPDATES}}}\n"
    "evaluate: {every: 2}\nseeds: 1\nout: tuned\n"
)
SMALLER = (
    "store: store\nteacher: model\nstudent: {layers: 1}\nobjective: {name: distill, cosine: 0, cache_top_k: 4}\n"
    "train: {steps: 6, batch_size: 8, sequence_length: 32, lr: 1e-3}\nevaluate: {every: 2, batches: 2}\n"
    "save: {every: 2, keep_last: 2}\nout: smaller\n"
)
TASKWISE = (
    "task: bell.yaml\ndata: data\nteacher: tuned/seed-0/final\nlayers: 1\n"
    f"intermediate: {{steps: 4, {UPDATES}}}\nprediction: {{steps: 4, {UPDATES}}}\nevaluate: {{every: 2}}\n"
    "out: taskwise\n"
)
ASKED = "models: [model]\ntasks: [order.yaml]\ndata: data\nnum_fewshot: [0]\nout: asked\n"
ORDER = 'name: multiple_choice\nprompt: "{sentence}"\nchoices: ["a bell", "a town"]\nmetrics: [accuracy]\n'
GRAPH = "source: {files: triples.tsv}\nsplit: {validation: 0.1, test: 0.1}\nout: graph\n"
TRANSE = (
    "graph: graph\nobjective: {name: transe, embedding_size: 8, num_negatives: 2}\n"
    "train: {steps: 6, batch_size: 16, lr: 1e-2, warmup: 0}\nevaluate: {every: 2}\n"
    "save: {every: 2, keep_last: 2}\nseed: 7\nout: vectors\n"
)
LINKED = (
    "source: {files: text/*.txt, document_boundary: line}\ntokenizer: {load: store/tokenizer}\n"
    "heldout: 0.1\nworkers: 1\nlinks: {graph: graph, by: labels}\nout: linked\n"
)
ERNIE = (
    "store: linked\nentity_embeddings: vectors/final\n"
    "model: {name: ernie, layers: 1, hidden: 16, heads: 2, max_positions: 128, entity_size: 8}\n"
    "objective: {name: ernie}\ntrain: {steps: 6, batch_size: 8, sequence_length: 32, lr: 1e-3, warmup: 2}\n"
    "evaluate: {every: 2, batches: 2}\nsave: {every: 2, keep_last: 2}\nseed: 7\nout: knowing\n"
)
CORPUS = (
    "sources:\n  pages: {files: pages/*.jsonl}\n  text: {files: text/*.txt}\nworkers: 1\n"
    "filters: {gopher_quality: {min_words: 5, min_stop_words: null}}\ndedup: {minhash: {}}\n"
    "output: {dropped: 1.0}\nout: corpus\n"
)
PREDICT = "predict tuned/seed-0/final rows.jsonl --out answers/all.jsonl"
READER = (
    "store: store\nmodel: {name: gpt2, layers: 1, hidden: 16, heads: 2, max_positions: 128}\n"
    "objective: {name: clm}\ntrain: {steps: 6, batch_size: 8, sequence_length: 32, lr: 1e-3, warmup: 2}\n"
    "evaluate: {every: 2, batches: 2}\nsave: {every: 2, keep_last: 2}\nseed: 7\nout: run\n"
)
GENERATOR = (
    "store: store\nmodel: {name: electra, layers: 1, hidden: 16, heads: 2, max_positions: 128, embedding_size: 16}\n"
    "objective: {name: electra}\n"
    "train: {steps: 6, batch_size: 8, sequence_length: 32, lr: 1e-3, warmup: 2}\n"
    "evaluate: {every: 2, batches: 2}\nsave: {every: 2, keep_last: 2}\nseed: 7\nout: run\n"
)
KAGNET = (
    "task: {name: kagnet, inputs: [question], choices: [choices], labels: [A, B], graph: graph, "
    "entity_embeddings: vectors/final, grounding: {language: null}, paths: {threshold: null}, "
    "network: {gcn: [8], path_size: 8, pair_size: 8}}\n"
    f"data: paths\ninit_from: model\ntrain: {{steps: 6, {UPDATES}}}\nevaluate: {{every: 2}}\nseeds: 1\nout: aside\n"
)
SUITE = "prompt:\n  tasks: [order.yaml]\n  num_fewshot: [0]\n"
