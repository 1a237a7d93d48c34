-- What a sentence is. It is said here alone: measures, embeddings and semantic anchors have the same.

-- A text with a noncharacter, which no text holds, after each stop that ends no sentence.
--
-- These are the stops of titles ("Dr. No"), of Latin abbreviations, of initials but "I", of the
-- numbers of a list's items, of "No." and such before a digit; and any that a small letter follows
-- on its line.
create or replace macro with_guarded_stops(text) as
    regexp_replace(
        regexp_replace(
            regexp_replace(
                text,
                '((?:^|[\n-\r\x{85}\x{2028}\x{2029}])[\t\x20\x{a0}]*[0-9]+\.'
                || '|(?:^|[^\p{L}\p{N}.-])(?:[A-HJ-ZÀ-ÖØ-ÞΑ-ΩА-Я]|Mr|Mrs|Ms|Dr|Prof|St|Mt|Gen|Sen|Gov'
                || '|Lt|Col|Capt|Sgt|Rev|vs|cf|[Ee]\.g|[Ii]\.e)\.)',
                '\1' || chr(1114111),
                'g'
            ),
            '(\b(?:[Nn]o|[Ff]ig|[Vv]ol|[Ee]q|[Ss]ec|[Cc]h|pp?)\.)([\t\x20\x{a0}]+[0-9])',
            '\1' || chr(1114111) || '\2',
            'g'
        ),
        '([.!?…]+["'')\]}”’»*_]*)([\t\x20\x{a0}]+["''“‘«(\[*_]*\p{Ll})',
        '\1' || chr(1114111) || '\2',
        'g'
    );

-- A text cut behind its sentences: joined, the pieces are the text.
--
-- A sentence ends with its line; after a run of . ! ? or … and the quotes and brackets that close
-- there, where whitespace or nothing follows; and after a run of 。！？ whatever follows.
create or replace macro sentence_pieces(text) as
    list_transform(
        regexp_extract_all(
            with_guarded_stops(text),
            '(?s).*?(?:[\n-\r\x{85}\x{2028}\x{2029}]+|[.!?…]+["'')\]}”’»*_]*(?:['
            || whitespace()
            || ']+|$)|[。！？]+["'')\]}”’»」』）]*)|(?s).+'
        ),
        lambda piece: replace(piece, chr(1114111), '')
    );

-- The sentence in a piece: without the whitespace around it, or null where it has no letter and no
-- digit.
create or replace macro sentence_in(piece) as
    case
        when regexp_matches(piece, '[\p{L}\p{N}]')
            then regexp_replace(
                piece,
                '^[' || whitespace() || ']+|[' || whitespace() || ']+$',
                '',
                'g'
            )
    end;

-- Sentences of a text.
create or replace macro sentences(text) as
    list_filter(
        list_transform(sentence_pieces(text), lambda piece: sentence_in(piece)),
        lambda sentence: sentence is not null
    );
