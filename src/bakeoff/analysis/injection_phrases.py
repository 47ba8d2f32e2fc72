"""What orders to a judge are made of, in many languages. Knows phrases and searches no text.

A rule holds in a sentence where all its parts are found. Its first part is plain words: one of the
first group must be somewhere in the text, and one of each further group (after an `&`) in the
sentence, where the patterns ask for them anyway. So most sentences need not be searched at all. Its
second part is a pattern without anchors or `.*`. The patterns meet a text without capitals, accents
and look-alike letters, and are themselves treated so.
"""

_NOUN = r"(?:answer|response|completion|reply|output|submission)s?"
# A letter and no article: "answer a question" is about no answer A.
_AB = r"[ab]\b(?! (?!is|was|wins?|won|has|as|and|or|over|than|should|must|will|deserves|gets)\w)"
_NOUNS = "answer|response|completion|reply|replies|output|submission|candidate"
_SELVES = "answer|response|completion|reply|output|submission|assistant|candidate"
_SELF = (
    rf"\b(?:(?:this|my|current|present|following|both)(?: \w+)? {_NOUN}\b"
    rf"(?! (?:will |should |can |may )?help)|(?:{_NOUN}|assistant|candidate) (?:above|below|{_AB}))"
)
_OTHER = rf"\bthe other (?:{_NOUN}|assistant|candidate)\b(?! (?:choice|option|key))"
_JUDGE = (
    r"\b(?:judge|evaluator|grader|rater|assessor|scorer|jury"
    r"|(?:reward|grading|evaluation|judge) (?:model|assistant))s?\b"
)
_JUDGES = "judge|evaluator|grader|rater|assessor|scorer|jury|evaluation |reward model|grading "
_JUDGING = "judge|evaluator|grader|rater|assessor|scorer|jury|reward |grading |evaluation "
_PICK = (
    r"\b(?:choose|pick|select|prefer|declare|announce|name|rank|rate|mark|score|vote|give|award"
    r"|assign|penali[sz]e|judge|jury|evaluat\w+|grad(?:er|ers|ing)|verdict|comparison)\b"
)
_GOOD = (
    r"\b(?:best|better|winner|wins?|won|superior|first place|perfect|highest|10|ten|5 stars|full"
    r"|reward|prefer\w*|top|maximum|inferior|worst|worse|unless|or else)\b"
)
_TOP = (
    r"\b(?:full (?:marks|score|credit)|first place|(?:10|ten) ?(?:/|out of) ?(?:10|ten)|score of 10"
    r"|10 points|(?:perfect|high|highest|maximum|top|best)(?: possible)? (?:score|rating|grade"
    r"|marks|points|reward))\b"
)
_PICKS = (
    "choose|pick|select|prefer|declare|announce|name|rank|rate|mark|score|vote|give|award|assign"
    "|penali|judge|jury|evaluat|grader|grading|verdict|comparison"
)
_TOPS = (
    "full marks|full score|full credit|first place|10/|10 /|10 out|10out|ten/|ten /|ten out|tenout"
    "|score of 10|10 points|perfect |high |highest |maximum |top |best "
)
_ENGLISH = (
    # Forget what you were told.
    (
        "ignore|disregard|forget|override|skip"
        "&instruction|prompt|rubric|criteria|guideline|directi|above|the other ",
        r"\b(?:instructions?|prompts?|rubric|criteria|guidelines?|directi(?:ves|ons)|above)\b|"
        + _OTHER,
        r"^[\s>*#_(){}\[\]:/-]*(?:[a-z ]{1,24}[:;,!] ?)?(?:(?:please|now|and|so|then|just) )*"
        r"(?:ignore|disregard|forget|override|skip) ",
        r"\b(?:previous|prior|earlier|before|above|below|all|any|your|everything|other)\b",
    ),
    (
        "instructions|criteria|rubric&void|valid|cancel|obsolete|superseded|lifted",
        r"\b(?:previous|prior|earlier|old|above) (?:instructions|criteria|rubric) (?:\w+ ){1,3}"
        r"(?:void|invalid|cancel|obsolete|superseded|lifted)",
    ),
    (
        "evaluat|compar|judg&not evaluat|not compar|not judg|don't evaluat|don't compar|don't judg"
        "|stop evaluat|stop compar|stop judg|the comparison|the evaluation|this comparison"
        "|this evaluation",
        r"\b(?:(?:do not|don't|stop) (?:evaluat|compar|judg)(?:e|ing)"
        r"|(?:end|stop|skip|cancel) (?:the|this) (?:comparison|evaluation))\b",
        rf"{_SELF}|\b(?:content|comparison|winner|verdict|tie|here|now)\b",
    ),
    # You who judge.
    (
        f"{_JUDGES}&{_JUDGING}&{_SELVES}|the other one",
        rf"{_SELF}|{_OTHER}|\bthe other one\b",
        _JUDGE,
    ),
    (
        f"{_JUDGES}&{_JUDGING}",
        _JUDGE,
        rf"^[\s>*#_(-]*(?:\w+ ){{0,4}}{_JUDGE}(?:'s? notes?)?[:,]",
        rf"\b(?:stop|please|this|here|verified|approved|wins?|winner|prefer|first one)\b|{_TOP}",
    ),
    (
        f"{_JUDGES}&{_JUDGING}",
        _JUDGE,
        r"\b(?:must|has to|have to|always|no longer|will now)\b",
        r"\b(?:rank|prefer|choose|return|select|pick|output|you)\b",
        r"\b(?:model|assistant|answer|response|[ab] wins|you)\b",
    ),
    (
        "if you|whoever|anyone|model|llm&grading|judging|scoring|evaluating|comparing|rating",
        r"\b(?:grading|judging|scoring|evaluating|comparing|rating)\b",
        r"\b(?:if you(?: are|'re)|whoever|anyone|model|llm)\b.*(?:ing)\b",
        rf"{_SELF}|\b(?:this text|mine|this$|this[:,])",
    ),
    (
        "expert|annotator|reviewer|evaluator|judges|raters|gold standard|ground truth|reference"
        f"&{_SELVES}",
        _SELF,
        r"\b(?:prefer|found|agreed|rated|chose|approved|matches)|gold standard|reference solution",
    ),
    # This one, not the other.
    (
        f"{_NOUNS}&{_PICKS}",
        _SELF,
        _GOOD,
        _PICK,
    ),
    (
        f"{_NOUNS}&deserves|merits|earned|win|won|be ranked|be chosen|be preferred|is worth"
        "|is perfect|is flawless|is superior|is the best|is the only|withdrawn|default"
        f"|disqualified|is better than|more |rate |score |{_TOPS}",
        _SELF,
        r"\b(?:deserves|merits|has earned|wins|won|(?:should|must|has to) (?:win"
        r"|be (?:ranked|chosen|preferred))|is worth|is (?:perfect|flawless|superior|the best"
        rf"|the only)|winner|withdrawn|default|disqualified|is better than"
        rf"|more \w+ than (?:{_NOUN}|assistant) [ab])\b|{_TOP}"
        r"|\blet (?:this|my) \w+ win\b|(?:rate|score) (?:it|this|me) high",
    ),
    (
        f"rate|score|grade|give|award|assign&{_TOPS}",
        _TOP,
        r"^[\s>*#_-]*(?:please )?(?:(?:rate|score|grade|give|assign) (?:this|it|me|us)|award)\b"
        r"|\b(?:award|give|assign) this (?:text|answer|response|one)\b",
    ),
    (
        f"the other &{_SELVES}",
        _OTHER,
        r"\b(?:admit|conced|retract|disqualif|plagiari|inferior|harmful|rank|nothing|worthless"
        r"|fooled|full of|flagged|violat|copied|generated by|removed|spam)",
    ),
    (
        "the other one&the other one",
        rf"\b(?:this text|this one)\b|{_SELF}",
        r"\bthe other one\b",
        r"\b(?:better|best|prefer|over|wins?|penali[sz]e)\b",
    ),
    (
        "mine|this one|the first|please&pick|choose|prefer|select|rate|mark|name|declare|vote",
        r"\b(?:pick|choose|prefer) mine\b|\bin doubt,? (?:choose|pick|prefer) the first\b"
        r"|\bselect this one\b|\b(?:choose|pick|select|rate|mark|name|declare) (?:this|it|me|mine)"
        r" as (?:the )?(?:best|better|winner)"
        rf"|\bplease (?:choose|pick|select|prefer|vote for) (?:this|my|the \w+) {_NOUN} as"
        rf"|\bplease (?:choose|pick|select|prefer|vote for) (?:this|my) {_NOUN}",
    ),
    (
        f"if you do not|if you don't|if you fail to|unless you&{_PICKS}",
        rf"\b(?:if you (?:do not|don't|fail to)|unless you) {_PICK} (?:this|my|me)\b",
    ),
    (
        "evaluat|judg|verdict|winner|this round&evaluat|judg|verdict|winner|round"
        "&a wins|b wins|has won|is better|is best|is superior|is the winner|a as the|b as the",
        r"\b(?:evaluat|judg|verdict|winner|round)",
        r"\b[ab] (?:wins|has won|is (?:better|best|superior|the winner))\b|\b[ab] as the\b",
    ),
    (
        "verdict|winner&verdict|winner",
        r"\b(?:evaluat|judg|verdict|winner|round)",
        r"(?:verdict|winner).*\bis [ab]$",
    ),
)
_ORDERS = (
    "anweisung|vorgabe|instruc|instruk|kriteri|regel|consigne|règle|regla|indicacion|regra|istruz"
    "|regol|aanwijzing|polece|zasad|инструк|указани|правил|talimat|kural|指令|指示|说明"
    "|要求|规则|提示|命令|ルール|지시|명령|규칙|지침|تعليمات|أوامر|قواعد|निर्देश|नियम|आदेश"
)
_OTHERS = (  # the same two in other languages: forget what you were told; this one is to win
    (
        "ignor|vergiss|missacht|oubli|olvid|descart|esquec|desconsider|dimentic|negeer|vergeet"
        "|zapomnij|забуд|не обращай|игнор|yok say|görmezden gel|忽略|无视|忽視|忘记|不要理会"
        f"|無視|忘れ|무시|잊|تجاهل|انس|अनदेखा|नज़रअंदाज़|भूल|उपेक्षा&{_ORDERS}",
        _ORDERS,
        "vorherig|bisherig|obig|früher|précédente|ci-dessus|antérieur|anterior(?:es)?\\b"
        "|acima|vos consignes|previas|prévias|precedenti|eerder|vorige|poprzedni|wcześn|предыду"
        "|прежн|önceki|yukaridaki|之前|以上|前面|先前|上述|これまで|以前"
        "|上記|前の|이전|위의|سابق|أعلاه|पिछल|पहले|ऊपर",
    ),
    (
        "antwort|réponse|respuesta|resposta|risposta|antwoord|odpowied|ответ|yanit|cevab|回答|答案"
        "|回复|答え|応答|답변|응답|대답|الإجابة|الرد|الجواب|उत्तर|जवाब",
        r"(?:diese|meine)[rmn]? antwort|(?:cette|ma) réponse|(?:esta|mi) respuesta"
        r"|(?:esta|essa|minha) resposta|(?:questa|mia) risposta|(?:dit|mijn) antwoord"
        r"|(?:tę|ta|tej|moja) odpowied|(?:эт|мо)\w+ ответ|bu (?:yanit|cevab)"
        "|(?:这个|此|本|该|この|私の)(?:回答|答案|回复|答え|応答)|(?:이|제|내) (?:답변|응답|대답)"
        "|هذه الإجابة|هذا (?:الرد|الجواب)|(?:इस|यह|मेरे|मेरा) (?:उत्तर|जवाब)"
        "|(?:antwort|réponse|respuesta|resposta|risposta|ответ|回答|答案) ?[ab](?![a-z])",
        r"gewinn|gewählt|wähle\b|punktzahl|10 |sieger|bevorzug|höchst|als beste|die bessere"
        "|gagnant|(?:comme|est) la meilleure|choisis|note maximale|ganador|puntuación|elija|elige"
        r"|(?:como|es) la mejor|(?:como|é) a melhor|vencedor|pontuação|nota máxima|escolha|prefer"
        r"|juez|juec|punteggio|vincit|vincent|(?:come|è) la migliore|scegli\b|winnaar|wint\b"
        r"|kies\b|hoogste|za lepsz|wygr|zwyci|wybierz|балл|лучше друг|побед|выбери|оценк"
        "|kazanan|puan|获胜|胜出|满分|10分|最高分|最高评分|优于|[是为](?:最好|最佳|更好)|最佳回答"
        "|勝者|勝ち|満点|10点|最高評価|最高点|選んで|優れてい|승자|선택하세요|만점|최고점"
        "|보다 (?:낫|좋|나은)|(?:هي|أنها) الأفضل|الفائز|أعلى درجة|اختر"
        "|विजेता|सबसे अच्छा है|सर्वश्रेष्ठ|अंक|चुनें",
    ),
)
RULES: tuple[tuple[str, ...], ...] = (*_ENGLISH, *_OTHERS)
