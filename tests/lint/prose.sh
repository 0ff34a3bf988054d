#!/usr/bin/env bash
# Phrases that stop a native reader, each with what to say instead: in code, comments, messages, scripts and pages.
set -euo pipefail
cd "${1:-.}"
faults=0
mapfile -t files < <(find cmd lifecycle server tracker configs tests docs deploy scripts bench findings .ci ./*.md -type f \
    -not -path '*/lint/*' -not -path '*/corpus/*' -not -path 'docs/performance/*' 2>/dev/null)

# instead PATTERN WHAT
instead()
{
    local found
    found=$(grep -nEiI -- "$1" "${files[@]}" /dev/null || true)
    if [[ -z $found ]]; then return 0; fi
    echo "prose: say \"$2\" in"
    echo "$found"
    faults=$((faults + 1))
}

instead '\b(is|are|was|were|be|been|not) home\b' 'has ended'
instead '\b(take|takes|took|need|needs) a new start\b' 'needs a restart'
instead '\b(at|after|for|of|by|in|one in|about) so (many|long)\b' 'this many, this long'
# "Who" is for people; of anything else say what it is.
instead '\bwhoever\b' 'people who, or what it is: the client, the thread that'
instead '\b(to|for|by|from|with) who\b' 'the client that, the process that'
instead '(^[ /*#|-]*|[:;.*/] |, (so|and) )who (waits|stands|does not|may write|asks (whether|each)|has (just|sent|been|deleted|a program)|is (idle|reset|still|in its))\b' \
    'the client that, the thread that, users who'
instead '\bwhom the (system|client|server)\b' 'those that the system'
instead '\bnobody (stops|is to wait|waits any more)\b' 'there is no stop, nothing waits'
instead '\banew\b' 'again'
instead '\bby and by\b' 'a few at a time'
instead '\bone behind the other\b' 'one after the other'
instead '\bbehind (an?|the) (answer|body|request|version|size|field)\b' 'after'
instead '\bin the midst of\b' 'in the middle of, while'
instead '\bat one time\b' 'at a time, at the same time'
instead '\bas (it|they) comes?\b' 'as it arrives'
instead '\bto be had\b' 'what it is: cannot be made, is not available'
instead '\b(is|are|was|were) born\b' 'is started'
instead '\bgood-bye\b' 'farewell, close_notify'
instead '\b(has ended|it|he|she|this|process|connection)(, and)? is no more\b' 'does not exist any more'
instead '\bis no (regular file|setting|message|browser|directory|name)\b' 'is not a regular file'
instead '\b(a|each) (message|line|pod|span|row) a (event|request|pod|sink)\b' 'one line for each request'
instead '\bwhy it is (so|as it is)\b' 'the reasons'
instead '\bwhat is mended\b' 'fixes'
instead '\b(said and counted|was there much|has it not)\b' 'a sentence that a native speaker would write'
instead '\bsuch so far\b' 'times so far'
if ((faults == 0)); then echo "prose: nothing found"; fi
exit $((faults > 0))
