# Completes the options of `python tune.py` and its siblings in bash: source this file, in ~/.bashrc for
# example. Written by docs/write_completions.py from the usage texts (`make docs`).

# The options of a script; those that take a value end in `=`.
_ppo_grid_options() {
    case $1 in
        tune.py) echo "--config= --tune= --num-repetitions= --worker-id= --run-id= --low-mem-fix --generate-only --out= --log= --seed= --device= --together= --jobs= --retries= --fail-fast --only= --confirm= --quiet --status --compile --dry-run --unique --overwrite --help --version" ;;
        train.py) echo "--config= --worker-id= --run-id= --low-mem-fix --out= --log= --seed= --device= --compile --overwrite --check-env --help --version" ;;
        eval.py) echo "--config= --checkpoint= --untrained --worker-id= --stochastic --out= --device= --help --version" ;;
        enjoy.py) echo "--config= --checkpoint= --untrained --worker-id= --seed= --stochastic --video= --device= --help --version" ;;
        report.py) echo "--out= --run-id= --metric= --threshold= --where= --sort= --top= --format= --to= --page --watch= --plots= --suggest= --help --version" ;;
    esac
}

# How compgen finds an option's values.
_ppo_grid_values() {
    case $1 in
        --checkpoint|--config|--suggest|--to|--tune|--video) echo -f ;;
        --out|--plots) echo -d ;;
        --device) echo "-W auto cpu cuda" ;;
        --format) echo "-W text csv json markdown latex" ;;
        --log) echo "-W tensorboard wandb mlflow tensorboard,wandb tensorboard,mlflow" ;;
        --metric) echo "-W final best area steps time" ;;
    esac
}

_ppo_grid() {
    local word offered="" current=$2 option=$3 prefix="" kind
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        offered=$(_ppo_grid_options "${word##*/}")
        [[ $offered ]] && break
    done
    COMPREPLY=()
    if [[ ! $offered ]]; then
        # Another program in Python is completed as before.
        [[ $_ppo_grid_others ]] && "$_ppo_grid_others" "$@"
        return
    fi

    # `--out=x` is one word or three, as COMP_WORDBREAKS says.
    if [[ $option == "=" ]]; then
        option=${COMP_WORDS[COMP_CWORD-2]}
    elif [[ $current == "=" ]]; then
        current=""
    elif [[ $current == --*=* ]]; then
        option=${current%%=*} prefix=${current%%=*}= current=${current#*=}
    fi
    local IFS=$'\n'
    if [[ " $offered " == *" $option= "* ]]; then
        kind=$(_ppo_grid_values "$option")
        case $kind in
            -W*) COMPREPLY=($(IFS=" " && compgen -W "${kind#-W }" -- "$current")) ;;
            -*) COMPREPLY=($(compgen "$kind" -- "$current")) ;;
        esac
        COMPREPLY=("${COMPREPLY[@]/#/$prefix}")
        # Quotes what needs it, and ends folders with a slash. Outside of a completion it fails.
        [[ $kind == -[fd] ]] && compopt -o filenames 2>/dev/null
    else
        COMPREPLY=($(IFS=" " && compgen -W "$offered" -- "$current"))
        [[ ${#COMPREPLY[@]} == 1 && $COMPREPLY == *= ]] && compopt -o nospace 2>/dev/null
    fi
    return 0
}

# bash-completion loads what it has for Python on demand.
for _ppo_grid_python in python python3; do
    if [[ $(complete -p $_ppo_grid_python 2>/dev/null) != *" _ppo_grid "* ]]; then
        declare -F _comp_load >/dev/null && _comp_load $_ppo_grid_python
        declare -F _completion_loader >/dev/null && _completion_loader $_ppo_grid_python
        [[ $(complete -p $_ppo_grid_python 2>/dev/null) =~ \ -F\ ([^ ]+) ]] &&
            _ppo_grid_others=${BASH_REMATCH[1]}
    fi
    complete -o bashdefault -o default -F _ppo_grid $_ppo_grid_python
done
unset _ppo_grid_python
