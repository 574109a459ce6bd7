#!/bin/sh
# Stands in for Python where multiprocessing begins a process. It ends with its parent from its first moment. The tracker
# of shared memory does not: it ends once all whom it cleans up behind have. It is nobody's child, or Ray would kill it
# with the others of an actor that ends, and the memory would stay until the machine is started anew.
case "$*" in
*resource_tracker*)
  "$RELABEL_VLLM_PYTHON" "$@" &
  exit
  ;;
*spawn_main*)
  bind='import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGKILL); os.execv(sys.argv[1], sys.argv[1:])'
  exec "$RELABEL_VLLM_PYTHON" -I -S -c "$bind" "$RELABEL_VLLM_PYTHON" "$@"
  ;;
esac
exec "$RELABEL_VLLM_PYTHON" "$@"
