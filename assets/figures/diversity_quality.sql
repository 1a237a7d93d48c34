-- Semantic diversity and mean score of each checkpoint.
select
    checkpoint,
    label,
    score.value as score,
    score.low as score_low,
    score.high as score_high,
    diversity.value as diversity,
    diversity.low as diversity_low,
    diversity.high as diversity_high,
    diversity.n_items
from shown
join summary as score
    using (checkpoint, decoding)
join summary as diversity
    using (checkpoint, decoding)
where
    score.measure = 'mean_score'
    and score.condition = '-'
    and score.collection = '*'
    and diversity.measure = 'semantic_diversity'
    and diversity.condition = '-'
    and diversity.collection = '*'
order by place
