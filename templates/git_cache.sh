# In the place of git, for the steps that clone: what a mirror of the repository has is not fetched again. The remote is
# asked all the same, with what the step was given; the mirror is never told who may read it. What is no such clone, or
# goes wrong with the mirror, is left to git as it came.

# How many words configure git, the words of them, the repository, its branch; and whether it is a clone that we know.
state=options head=0 url='' branch='' shallow='' strange=''
for word; do
    case $state in
    options)
        case $word in
        -c) state=value head=$((head + 1)) ;;
        clone) state=url head=$((head + 1)) ;;
        *) strange=1 ;;
        esac
        ;;
    value) state=options head=$((head + 1)) ;;
    url) state=rest url=$word ;;
    branch) state=rest branch=$word ;;
    depth) state=rest shallow=$word ;;
    rest)
        case $word in
        --branch) state=branch ;;
        --depth) state=depth ;;
        --recurse-submodules | --filter=* | --no-checkout | --reference*) strange=1 ;;
        esac
        ;;
    esac
done
case $state/$strange/$shallow/$url in
rest//1/*://* | rest//1/*@*:*) ;;
*) exec "$git" "$@" ;;
esac

# Without who asks, and as a name.
bare=$(printf %s "$url" | sed 's|^\([a-zA-Z+]*://\)[^/@]*@|\1|')
name=$(printf %s "$bare" | "$git" hash-object --stdin) || exec "$git" "$@"
mirror=$mirrors/$name.git

renew() {
    # The words before `clone` and nothing else.
    index=0
    total=$#
    while [ $index -lt "$total" ]; do
        word=$1
        shift
        index=$((index + 1))
        [ $index -lt "$head" ] && set -- "$@" "$word"
    done
    if [ -n "$branch" ]; then
        wanted="+refs/heads/$branch:refs/heads/$branch"
    else
        wanted='+HEAD:refs/heads/reconcile/head'
    fi
    # Nothing but the mirror itself: git would look for a repository around a directory that is none yet.
    [ -f "$mirror/HEAD" ] || "$git" init --quiet --bare "$mirror" || return 1
    GIT_TERMINAL_PROMPT=0 "$git" "$@" --git-dir="$mirror" fetch --quiet --no-tags --no-write-fetch-head "$url" "$wanted"
}
(umask 077 && mkdir -p "$mirrors" && renew "$@") >/dev/null 2>&1 </dev/null || exec "$git" "$@"

# The same words, and after `clone` where to borrow from; nothing stays borrowed.
index=0
total=$#
while [ $index -lt "$total" ]; do
    word=$1
    shift
    index=$((index + 1))
    set -- "$@" "$word"
    [ $index -eq "$head" ] && set -- "$@" --reference "$mirror" --dissociate
done
exec "$git" "$@"
